"""The SFTP front: who may come in, what each one sees, and how a file arrives."""
