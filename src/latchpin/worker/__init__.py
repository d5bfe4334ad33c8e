"""Executing runs: the worker process, and the child process that each run is."""
