"""A service: the predictions of bundles behind HTTP. It needs the extra `serve`."""
