-- Removes what setup.sql made, with every table and model in the dataset. Run it
-- after `terraform destroy`: a remote model that is dropped here is missed there.

DROP SCHEMA IF EXISTS bqml_tutorial CASCADE;
