package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"greengate/configs"
)

func newCloud(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cloud",
		Short: "print the AWS IoT policy that the gateway needs",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(newCloudPolicy(a))
	return cmd
}

func newCloudPolicy(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy [--account ID] [--region R]",
		Short: "print the least AWS IoT policy for the core, from the group file",
		Long: `Prints the AWS IoT policy that lets the core do what the rows of the group file
lead to and from the cloud, and nothing else. No daemon is needed. Print it again
when rows to or from the cloud change. With the AWS command line:

  aws iot create-policy --policy-name homepi_Core \
      --policy-document "$(greengate cloud policy --account 123456789012)"`,
		Args: cobra.NoArgs,
	}
	account := cmd.Flags().String("account", "", "the `id` of the AWS account, 12 digits: `aws sts get-caller-identity` shows it")
	region := cmd.Flags().String("region", "", "the AWS `region`; without it that of cloud.endpoint")
	cmd.RunE = action(func(*cobra.Command, []string) error {
		c, err := a.load()
		if err != nil {
			return err
		}
		where, err := newARN(c, *account, *region)
		if err != nil {
			return inputError{err}
		}
		policy := corePolicy(c, where)
		if where.account == anyAccount {
			a.complain(fmt.Errorf("write the id of your account in place of %s, or give --account ID", anyAccount))
		}
		if n := policy.size(); n > maxPolicy {
			a.complain(fmt.Errorf("the policy has %d characters, and AWS takes %d: give its statements to several policies (up to 10 for one certificate)", n, maxPolicy))
		}
		return a.printJSON(policy)
	})
	return cmd
}

// anyAccount stands for an account that is not known. AWS refuses it, so nobody
// has it in force by mistake.
const anyAccount = "ACCOUNT"

// arn writes the names of AWS's resources.
type arn struct{ partition, region, account string }

func (a arn) of(kind, name string) string {
	return "arn:" + a.partition + ":iot:" + a.region + ":" + a.account + ":" + kind + "/" + name
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	regionForm  = regexp.MustCompile(`^[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}$`)
)

// newARN finds out whose resources a policy names. Account may be empty, and
// region is then that of the endpoint.
func newARN(c *configs.Config, account, region string) (arn, error) {
	switch {
	case account == "":
		account = anyAccount
	case !accountForm.MatchString(account):
		return arn{}, fmt.Errorf("--account: %q is no account id (12 digits, without hyphens)", account)
	}
	if region == "" && c.Cloud != nil {
		region = awsRegion(c.Cloud.Endpoint)
	}
	switch {
	case region == "" && c.Cloud == nil:
		return arn{}, fmt.Errorf("the group file has no cloud section that tells the region (write --region eu-west-1)")
	case region == "":
		return arn{}, fmt.Errorf("the endpoint %q does not tell the region (write --region eu-west-1)", c.Cloud.Endpoint)
	case !regionForm.MatchString(region):
		return arn{}, fmt.Errorf("--region: %q is no region (write it as in eu-west-1)", region)
	}
	return arn{partition(region), region, account}, nil
}

// awsRegion is the region of a data endpoint, "" when the name does not tell:
// xxxx-ats.iot.eu-west-1.amazonaws.com, xxxx.ats.iot.cn-north-1.amazonaws.com.cn.
func awsRegion(endpoint string) string {
	labels := strings.Split(endpoint, ".")
	for i := 2; i < len(labels); i++ {
		if labels[i] == "amazonaws" && strings.HasPrefix(labels[i-2], "iot") && regionForm.MatchString(labels[i-1]) {
			return labels[i-1]
		}
	}
	return ""
}

// partition is the part of AWS that a region belongs to, as its ARNs name it.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}
