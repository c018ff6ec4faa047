"""What people are told, when and how: the letters, the occasions, and the channels that carry them."""
