"""The delivery's parts; `__main__.py` beside this directory starts them. Standard library only, since it runs on a fresh host."""
