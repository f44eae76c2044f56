DROP TABLE api_listeners;
DROP TABLE host_workers;
DROP TABLE hosts;
