"""Where the images of a run come from: folders, lists, archives and buckets, to paths and bytes."""
