// Command bootstrap is the car aggregator of AWS's traffic-light tutorial: it counts
// how often the light has turned green. It is plain AWS Lambda code: it would run there
// as it runs here.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iotdataplane"
	"github.com/aws/aws-sdk-go-v2/service/iotdataplane/types"
)

// thing is whose shadow keeps the count, and countTopic where it is told.
const (
	thing      = "GG_CarAggregator"
	countTopic = "cars/green"
)

// documents is what the shadow service tells on .../shadow/update/documents.
type documents struct {
	Previous, Current struct {
		State struct {
			Reported struct {
				Property string `json:"property"`
			} `json:"reported"`
		} `json:"state"`
	}
}

// count is how often the light was green.
type count struct {
	Green int `json:"green"`
}

type aggregator struct {
	iot *iotdataplane.Client
	count
}

func main() {
	ctx := context.Background()
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	a := &aggregator{iot: iotdataplane.NewFromConfig(c)}
	if err := a.load(ctx); err != nil {
		log.Fatal(err)
	}
	log.Printf("counting on from %d in %s", a.Green, os.Getenv("AWS_LAMBDA_FUNCTION_NAME"))
	lambda.Start(a.handle)
}

// load takes up the count where it was left.
func (a *aggregator) load(ctx context.Context) error {
	out, err := a.iot.GetThingShadow(ctx, &iotdataplane.GetThingShadowInput{ThingName: aws.String(thing)})
	var none *types.ResourceNotFoundException
	if errors.As(err, &none) {
		return nil
	}
	if err != nil {
		return err
	}
	var shadow struct {
		State struct {
			Reported count `json:"reported"`
		} `json:"state"`
	}
	err = json.Unmarshal(out.Payload, &shadow)
	a.count = shadow.State.Reported
	return err
}

// handle is called with each change of the traffic light.
func (a *aggregator) handle(ctx context.Context, d documents) (count, error) {
	if d.Current.State.Reported.Property != "G" || d.Previous.State.Reported.Property == "G" {
		return a.count, nil
	}
	a.Green++
	reported, err := json.Marshal(map[string]any{"state": map[string]any{"reported": a.count}})
	if err != nil {
		return a.count, err
	}
	if _, err := a.iot.UpdateThingShadow(ctx, &iotdataplane.UpdateThingShadowInput{ThingName: aws.String(thing), Payload: reported}); err != nil {
		return a.count, err
	}
	told, err := json.Marshal(a.count)
	if err != nil {
		return a.count, err
	}
	_, err = a.iot.Publish(ctx, &iotdataplane.PublishInput{Topic: aws.String(countTopic), Qos: 1, Payload: told})
	return a.count, err
}
