// Package star has the cases of the rendezvous: "wire" is what libp2p's client and others rely on, so that every server must do
// it; "rules" is what gateways/star/PROTOCOL.md says besides, where the public server leaves its clients hanging, or worse.
package star
