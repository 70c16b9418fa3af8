"""How the classroom base was made: its word tasks and its pre-training. No study runs this."""
