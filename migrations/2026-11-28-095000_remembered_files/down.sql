DROP TABLE remembered_files;
