"""What the command line does: one module per command. They ask a running server over HTTP, or run one."""
