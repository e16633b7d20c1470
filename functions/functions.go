// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package functions holds the functions of the provider, provider::gcpml::…: names
// taken apart and put together, and the SQL that goes with them. They are pure: the
// same arguments give the same result, without a configuration, a credential or a
// call.
package functions

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/function"
)

// All are the functions of the provider.
var All = []func() function.Function{
	newEndpointURL,
	newFormatBigQueryName,
	newFormatConnectionName,
	newFormatVertexName,
	newMLPredictSQL,
	newParseBigQueryName,
	newParseConnectionName,
	newParseVertexName,
	newQuoteIdentifier,
	newRemoteModelDDL,
}

// pure is a function that is told by its name, its definition and what it does.
type pure struct {
	name       string
	definition function.Definition
	run        func(ctx context.Context, arguments function.ArgumentsData) (any, *function.FuncError)
}

var _ function.Function = (*pure)(nil)

// Metadata names the function.
func (f *pure) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = f.name
}

// Definition describes parameters and result.
func (f *pure) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = f.definition
}

// Run computes the result.
func (f *pure) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	result, err := f.run(ctx, req.Arguments)
	if err != nil {
		resp.Error = err
		return
	}
	resp.Error = resp.Result.Set(ctx, result)
}

// texts is the run of a function that takes strings only.
func texts(n int, run func(arguments []string) (any, *function.FuncError)) func(context.Context, function.ArgumentsData) (any, *function.FuncError) {
	return func(ctx context.Context, data function.ArgumentsData) (any, *function.FuncError) {
		arguments := make([]string, n)
		into := make([]any, n)
		for i := range arguments {
			into[i] = &arguments[i]
		}
		if err := data.Get(ctx, into...); err != nil {
			return nil, err
		}
		return run(arguments)
	}
}

func text(name, description string) function.StringParameter {
	return function.StringParameter{Name: name, MarkdownDescription: description}
}

// wrong is an error about one argument, which are counted from 0.
func wrong(argument int64, err error) *function.FuncError {
	return function.NewArgumentFuncError(argument, err.Error())
}
