DROP TABLE store_removals;
