"""The page: one module per tab, and what several tabs share. Gradio is imported here and in app.py only."""
