"""The page that restyles photos in a browser: its files, the models it offers, the server."""
