package node

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/faultpb"
	"parley/messages/uipb"
	"parley/messages/vaultpb"
)

// Texts of faults. Source: gateways/uiv2/PROTOCOL.md, changePassword.
const (
	textHasPassword = "The database already has a password. You may only change it"
	textBadPassword = "The old password is not the password of the database"
	textUnchecked   = "The password could not be checked; the log of the Node says why"
	textUnknown     = "It is not known whether the password was changed; the log of the Node says why, and checkPassword which one it is"
)

// password is the safe's side towards user interfaces. Who guesses is slowed
// down by the safe. Source: gateways/uiv2/PROTOCOL.md, Passwords.
//
//	parent    node
//	receives  uipb.Ask, vaultpb.CheckResponse, vaultpb.RekeyResponse, faultpb.Failed
//	sends     vaultpb.CheckRequest, vaultpb.RekeyRequest to safe; uipb.Announce to broadcasts; uipb.PasswordMatch, uipb.Done, uipb.Fault to askers
//	stops     with the node
type password struct {
	safe, broadcasts *actor.PID // fixed at spawn

	waiting waiting // owned
}

// SpawnPassword starts the actor that answers checkPassword and changePassword.
// safe answers vaultpb.CheckRequest and vaultpb.RekeyRequest.
func SpawnPassword(ctx actor.SpawnerContext, safe, broadcasts *actor.PID) *actor.PID {
	p := &password{safe: safe, broadcasts: broadcasts}
	// The count of questions outlives a restart: answers to older ones still come.
	return tree.Spawn(ctx, "password", tree.Spec{Asked: true, New: func() actor.Actor { return p }})
}

func (p *password) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Restarting:
		p.fail(ctx)
	case *uipb.Ask:
		p.onAsk(ctx, m)
	case *vaultpb.CheckResponse:
		p.onChecked(ctx, m)
	case *vaultpb.RekeyResponse:
		p.onRekeyed(ctx, m)
	case *faultpb.Failed: // of the safe, which forgot what it was asked
		p.fail(ctx)
	case *actor.DeadLetterResponse: // the safe is gone
		p.fail(ctx)
	}
}

func (p *password) onAsk(ctx actor.Context, m *uipb.Ask) {
	member := m.GetAsker().GetMember()
	c := m.GetRequest().GetChangePassword()
	switch opcode := m.GetRequest().GetOpcode(); {
	case opcode == "checkPassword":
		p.waiting.add(ctx, m, func(serial uint64) {
			ctx.Request(p.safe, &vaultpb.CheckRequest{Member: member, Password: passwordOf(m), Serial: serial})
		})
	case opcode == "changePassword" && c != nil: // without a body the new password would be ""
		p.waiting.add(ctx, m, func(serial uint64) {
			ctx.Request(p.safe, &vaultpb.RekeyRequest{Member: member, OldPassword: c.OldPassword, NewPassword: c.GetNewPassword(), Serial: serial})
		})
	default:
		refuse(ctx, opcode)
	}
}

func (p *password) onChecked(ctx actor.Context, m *vaultpb.CheckResponse) {
	p.waiting.answer(ctx, m.GetSerial(), func(waiter) proto.Message {
		if m.GetError() != "" {
			return ui.Fault(ui.CodeRead, m.GetError())
		}
		return &uipb.PasswordMatch{Matches: m.GetMatches()}
	})
}

// onRekeyed tells all others of a new password, also when who wanted it does not
// wait any more.
func (p *password) onRekeyed(ctx actor.Context, m *vaultpb.RekeyResponse) {
	var except uint64
	p.waiting.answer(ctx, m.GetSerial(), func(w waiter) proto.Message {
		except = w.member
		return rekeyed(m)
	})
	if m.GetOutcome() == vaultpb.RekeyResponse_OUTCOME_DONE {
		ctx.Send(p.broadcasts, &uipb.Announce{Response: uipb.Broadcast("newPassword", &uipb.Done{}), Except: except})
	}
}

// rekeyed is the answer to changePassword.
func rekeyed(m *vaultpb.RekeyResponse) proto.Message {
	switch m.GetOutcome() {
	case vaultpb.RekeyResponse_OUTCOME_DONE:
		return &uipb.Done{}
	case vaultpb.RekeyResponse_OUTCOME_HAS_PASSWORD:
		return ui.Fault(ui.CodeWrite, textHasPassword)
	case vaultpb.RekeyResponse_OUTCOME_BAD_PASSWORD:
		return ui.Fault(ui.CodeBadPassword, textBadPassword)
	case vaultpb.RekeyResponse_OUTCOME_NOT_WRITTEN:
		return ui.Fault(ui.CodeWrite, m.GetReason())
	case vaultpb.RekeyResponse_OUTCOME_UNREADABLE:
		return ui.Fault(ui.CodeRead, m.GetReason())
	case vaultpb.RekeyResponse_OUTCOME_BUSY:
		return ui.Fault(ui.CodeTooMany, m.GetReason())
	default:
		return ui.Fault(ui.CodeUnknown, textUnknown)
	}
}

// fail leaves nobody waiting.
func (p *password) fail(ctx actor.Context) {
	p.waiting.all(ctx, func(w waiter) proto.Message {
		if w.opcode == "changePassword" {
			return ui.Fault(ui.CodeUnknown, textUnknown)
		}
		return ui.Fault(ui.CodeUnknown, textUnchecked)
	})
}
