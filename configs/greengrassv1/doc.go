// Package greengrassv1 owns the way out of AWS IoT Greengrass: it reads what the owner
// of a group still has of it (API answers, CloudFormation templates, the core's
// config.json; of version 2 deployments, recipes and the core's configuration) and
// writes a group file that configs accepts, with a report of what was taken over, how,
// and what has no counterpart. It decides nothing silently: what is left out stands in
// the report with the nearest thing to do. Only cmd imports it.
//
// Collect reads the files, Import makes the site of them and touches no disk but for
// the certificate files that config.json names. There is no state; everything may be
// called concurrently.
package greengrassv1
