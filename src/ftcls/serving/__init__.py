"""A model behind HTTP: a JSON API and a page to try it on."""
