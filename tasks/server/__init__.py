"""Hosting: environment, patches of gradio, request limits, compression, temporary files."""
