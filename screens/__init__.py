"""The screens: they compose, send intentions as messages and read through views."""
