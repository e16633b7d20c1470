terraform {
  required_providers {
    gcpml = {
      source = "gcpml/gcpml"
    }
  }
}

# Without credentials here or in the environment, Application Default Credentials
# are used. With GCPML_EMULATOR_HOST set, every call goes to the emulator instead,
# and no credential is used.
provider "gcpml" {
  project = "my-project"
  region  = "us-central1"
}
