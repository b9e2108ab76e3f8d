"""The web page that restyles photos in a browser: its files, its models and its server."""
