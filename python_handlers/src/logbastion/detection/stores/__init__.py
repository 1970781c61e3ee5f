"""Where counts and blocks are kept, so that all processes and hosts see the same: one module per store."""
