"""The ground for all packages: options, errors, notes, progress, files, downloads, timing."""
