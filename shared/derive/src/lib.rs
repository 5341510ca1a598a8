//! The derive of `chat_operation::FromSettings`, which that crate hands on.

#![warn(missing_docs)]

use proc_macro::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, parse_macro_input};

/// Makes a struct from what each of its fields makes of the settings.
#[proc_macro_derive(FromSettings)]
pub fn from_settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand(input: &DeriveInput) -> Result<proc_macro2::TokenStream, Error> {
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) | Data::Union(_) => {
            return Err(Error::new_spanned(&input.ident, "only a struct is made from settings"));
        }
    };
    let Fields::Named(fields) = fields else {
        return Err(Error::new_spanned(
            &input.ident,
            "name the fields: each is made by its type",
        ));
    };
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    // A type that cannot make itself is complained about where it stands.
    let fields = fields.named.iter().map(|field| {
        let (name, kind) = (&field.ident, &field.ty);
        quote_spanned!(kind.span()=> #name: <#kind as ::chat_operation::FromSettings>::from_settings(settings)?)
    });
    Ok(quote! {
        impl #generics ::chat_operation::FromSettings for #name #arguments #bounds {
            fn from_settings(
                settings: &::chat_operation::Settings,
            ) -> ::core::result::Result<Self, ::chat_operation::SettingsError> {
                ::core::result::Result::Ok(Self {
                    #(#fields,)*
                })
            }
        }
    })
}
