"""Inspects and trims files of each picture format before Pillow or another library reads them."""
