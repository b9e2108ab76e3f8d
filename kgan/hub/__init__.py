"""Models on the Hugging Face hub: pushed with their cards, as pages that run them, and as presets.

`kgan.runs.hub` reads addresses and fetches models; this package writes.
"""
