"""What lets files in: SFTP, watched folders, a watched bucket. All of it goes through one reception."""
