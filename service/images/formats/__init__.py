"""What is known of each format of pictures before Pillow, or another library, reads it."""
