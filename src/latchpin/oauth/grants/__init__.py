"""What the token endpoint gives tokens for, by `grant_type`. A grant returns its answer, or the refusal to raise after the commit."""
