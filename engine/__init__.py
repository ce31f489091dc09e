"""The laboratory: everything that trains, prunes, proves and keeps. It knows no terminal.

Import the module that is needed (`engine.spec`, `engine.store`, ...): the light ones stay free of JAX.
"""
