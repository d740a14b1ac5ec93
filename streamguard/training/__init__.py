"""How networks are trained. Nothing that runs on live video imports this room."""
