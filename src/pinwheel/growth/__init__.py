"""Growth: what brings people back and lets them bring others."""
