"""The review page: images, decisions and retraining in a browser on this machine. Needs the extra `review`."""
