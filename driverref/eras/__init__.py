"""What earlier emulators did otherwise, each thing beside today's that it replaces."""
