// Package web is what a node serves over plain HTTP: health for everybody on
// the relay's listener, metrics and profiles for operators on a loopback one.
package web
