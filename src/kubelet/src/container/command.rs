//! The command line: the pod's words before the image's, with references to variables replaced.

use k8s_openapi::api::core::v1::Container;
use oci::image::ImageConfig;

use crate::environment::Environment;

use super::Error;

pub(super) fn args(
    container: &Container,
    image: &ImageConfig,
    environment: &Environment,
) -> Result<Vec<String>, Error> {
    let given = |list: &Option<Vec<String>>| {
        let words = list.iter().flatten().map(|word| environment.expand(word)).collect::<Vec<_>>();
        (!words.is_empty()).then_some(words)
    };
    let (command, args) = (given(&container.command), given(&container.args));
    let line = match (command, args) {
        (Some(command), args) => [command, args.unwrap_or_default()].concat(),
        (None, Some(args)) => [image.entrypoint.clone(), args].concat(),
        (None, None) => [image.entrypoint.clone(), image.cmd.clone()].concat(),
    };
    if line.is_empty() { Err(Error::NoCommand) } else { Ok(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_s_words_come_before_the_image_s() {
        let image = ImageConfig {
            entrypoint: vec!["entry".into()],
            cmd: vec!["a".into(), "b".into()],
            ..ImageConfig::default()
        };
        let line = |command: &[&str], args: &[&str]| {
            let words = |list: &[&str]| Some(list.iter().map(|word| (*word).to_owned()).collect());
            let container = Container { command: words(command), args: words(args), ..Container::default() };
            args_of(&container, &image)
        };
        assert_eq!(line(&[], &[]), "entry a b");
        assert_eq!(line(&["x"], &[]), "x");
        assert_eq!(line(&[], &["y"]), "entry y");
        assert_eq!(line(&["x"], &["y", "$(NOT)"]), "x y $(NOT)");
        let nothing = args(&Container::default(), &ImageConfig::default(), &Environment::default());
        assert!(matches!(nothing, Err(Error::NoCommand)));
    }

    fn args_of(container: &Container, image: &ImageConfig) -> String {
        args(container, image, &Environment::default()).unwrap().join(" ")
    }
}
