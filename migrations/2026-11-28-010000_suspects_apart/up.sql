-- A job that a worker was working on when it died may run beside so many others that were, and beside no others. Each
-- crash makes it fewer, until the job that causes them is alone.
ALTER TABLE jobs ADD COLUMN company integer;
ALTER TABLE jobs ADD CONSTRAINT jobs_company_positive CHECK (company > 0);
