"""The local pages, for review and for labels from nothing, in a browser on this machine. They need the extra `review`."""
