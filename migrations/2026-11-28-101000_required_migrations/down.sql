DROP TABLE required_migrations;
