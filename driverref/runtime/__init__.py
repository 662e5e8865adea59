"""Today's emulator: ports, processes, schedulers, the async pool."""
