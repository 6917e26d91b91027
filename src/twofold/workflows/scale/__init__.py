"""Predictions of millions of images: a plan of parts, a file for each finished part, and engines that compute them."""
