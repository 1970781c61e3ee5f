"""Where incidents are: in the memory of one process, in Redis, or in the project's database."""
