"""The shell: command line, App, the worker thread, terminal driver, settings and styles."""
