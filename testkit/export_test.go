package testkit

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// TellText is Tell without a file and a test: it returns what Tell fails with.
func TellText(text string, stage Stage) error { return tell(text, stage) }

// Alive lists the actors of a system.
func Alive(sys *actor.ActorSystem) []string { return alive(sys) }

// Pass lets seconds of fake time pass for a system.
func Pass(sys *actor.ActorSystem, seconds int) {
	sys.Extensions.Get(auditID).(*audit).pass(time.Duration(seconds) * time.Second)
}

// SameFrame reports where a frame differs from what a story wants.
func SameFrame(got, want string) error { return sameFrame(got, want) }
