SELECT kind, name FROM pauses
