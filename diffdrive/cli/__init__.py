"""The command line, one file a verb: the only place that prints. ``diffdrive --help`` lists the verbs."""
