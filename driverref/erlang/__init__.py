"""Erlang's side: the BIFs, by module and subject."""
