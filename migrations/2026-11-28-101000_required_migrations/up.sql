-- Migrations that a process has to know to go on running. One that takes something away names here the one that put something else in
-- its place.
CREATE TABLE required_migrations (version text PRIMARY KEY);
