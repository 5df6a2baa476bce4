"""Six families of machine-learning image processing; one module per family, gradio only in `tasks.tabs`."""
