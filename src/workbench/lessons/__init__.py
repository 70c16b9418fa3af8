"""What a class needs beside the figures: exercises, a budget game, a blind test, a study to start with."""
