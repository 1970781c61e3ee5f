"""Coverage-guided fuzzing of what stands between an application and its log; see README.md."""
